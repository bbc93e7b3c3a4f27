package files

import "testing"

func TestParse(t *testing.T) {
	for _, c := range []struct {
		text, options, path string
		loop                bool
		rate                float64
	}{
		{"a/b.jpg", "", "a/b.jpg", false, 9},
		{"///a%20b/c%3F.mp4", "loop=1&fps=2.5", "/a b/c?.mp4", true, 2.5},
		{"//localhost/a.png", "fps=0", "/a.png", false, 0},
		{"/srv/photos/", "loop=0", "/srv/photos", false, 9},
		{"100%.jpg", "", "100%.jpg", false, 9},
	} {
		got, err := parse("file", c.text, c.options)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if u := got.(*target); u.path != c.path || u.loop != c.loop || u.rate.Or(9) != c.rate {
			t.Errorf("%s: got %+v", c.text, u)
		}
	}
}
