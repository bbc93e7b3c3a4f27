package machine

import (
	"io/fs"
	"strconv"
)

// Temperature is the highest of the thermal zones in degrees Celsius, nil where
// the machine has none.
func (m Machine) Temperature() *float64 {
	zones, err := fs.Glob(m.root, "sys/class/thermal/thermal_zone*/temp")
	if err != nil {
		return nil
	}
	var hottest *float64
	for _, zone := range zones {
		milli, err := strconv.Atoi(m.line(zone))
		if c := float64(milli) / 1000; err == nil && (hottest == nil || c > *hottest) {
			hottest = &c
		}
	}
	return hottest
}
