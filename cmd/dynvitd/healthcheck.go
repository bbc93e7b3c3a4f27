package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// healthTimeout bounds the whole question: a daemon that answers no sooner is not
// alive for who asks.
const healthTimeout = 5 * time.Second

// newHealthcheck is for what watches a process from outside and has no other
// program for it, such as a container's runtime.
func newHealthcheck() *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask the daemon on this machine whether it is alive",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			url, err := healthURL(&f, c.Flags())
			if err != nil {
				return err
			}
			return checkHealth(c.Context(), url)
		},
	}
	c.Flags().StringVar(&f.file, "config", "", "configuration file")
	c.Flags().String("http", "", "host:port of the live page, /healthz, /readyz and /metrics")
	return c
}

// healthURL is the page of a daemon that runs with these flags and this
// environment.
func healthURL(f *runFlags, flags *pflag.FlagSet) (string, error) {
	conf, err := f.load(flags)
	if err != nil {
		return "", err
	}
	if conf.HTTP.Listen == "" {
		return "", errors.New("healthcheck: http.listen is not set: the daemon answers nobody")
	}
	scheme := "http"
	if conf.HTTP.CertFile != "" {
		scheme = "https"
	}
	address, err := conf.HTTP.Address()
	return scheme + "://" + reachable(address) + "/healthz", err
}

// checkHealth is nil where the page says that the daemon is alive.
func checkHealth(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("healthcheck: %w", err)
	}
	// No proxy of the environment. The certificate may be for any name, is this
	// machine's own, and nothing is told to whoever shows it.
	direct := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	answer, err := direct.RoundTrip(request)
	if err != nil {
		return fmt.Errorf("healthcheck: %s: %w", url, err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("healthcheck: %s: %s", url, answer.Status)
	}
	return nil
}

// reachable is the address to dial for one that is listened at: a listener of all
// interfaces is found on loopback.
func reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}
