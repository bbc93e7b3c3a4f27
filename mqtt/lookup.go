package mqtt

import (
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
)

// lookupReason says why a name was not found. A static program asks /etc/hosts and
// DNS alone, and other programs the modules of the system's C library too, so that
// mosquitto_pub reaches names that this package does not.
func lookupReason(err *net.DNSError) string {
	what := fmt.Sprintf("look up %s: %s", err.Name, err.Err)
	if !err.IsNotFound {
		return what
	}
	const instead = "name the address instead, or put the name into /etc/hosts"
	name := strings.ToLower(strings.TrimSuffix(err.Name, "."))
	if strings.HasSuffix(name, ".local") {
		return what + ": names in .local are told by mDNS, which mosquitto_pub asks by the system and this program does not: " + instead
	}
	if others := otherSources(nsswitch); len(others) > 0 {
		return fmt.Sprintf("%s in /etc/hosts and DNS, which is all this program asks; mosquitto_pub asks %s too (%s): %s",
			what, strings.Join(others, ", "), nsswitch, instead)
	}
	return what
}

const nsswitch = "/etc/nsswitch.conf"

// otherSources lists the modules that the system's C library asks for host names,
// other than files and DNS.
func otherSources(path string) (list []string) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil // without the file it asks those two
	}
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		modules, ok := strings.CutPrefix(strings.TrimSpace(line), "hosts:")
		if !ok {
			continue
		}
		for _, m := range strings.Fields(modules) {
			if m != "files" && m != "dns" && !strings.ContainsAny(m, "[]=") && !slices.Contains(list, m) {
				list = append(list, m)
			}
		}
	}
	return list
}
