package web

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// ask sends the request, follows redirects, shows who we are where that is asked
// for, and looks at the head of the answer.
func (h *source) ask(x *exchange) error {
	at, below := h.url, anyStrength
	for hop := 0; ; {
		answer, err := h.request(x, at)
		if err != nil {
			return err
		}
		challenges := answer.Header.Values("WWW-Authenticate")
		switch {
		case answer.StatusCode == http.StatusOK:
			return x.begin(answer)
		case answer.StatusCode/100 == 3 && answer.Header.Get("Location") != "":
			if hop++; hop > maxRedirects {
				return fmt.Errorf("more than %d redirects", maxRedirects)
			}
			if at, err = redirected(at, answer.Header.Get("Location")); err != nil {
				return err
			}
			below = anyStrength
		case answer.StatusCode == http.StatusUnauthorized && h.login.challenged(challenges, below):
			below = h.login.chosen.strength() // if that is refused, what is weaker
		default:
			return errors.New(h.refusal(answer, challenges))
		}
		x.hangUp()
	}
}

// request sends one request, over the line that is left if it leads there. A camera
// may have hung that up by now, which is no failure: then it is asked over a new one.
func (h *source) request(x *exchange, at *url.URL) (*http.Response, error) {
	req, err := http.NewRequestWithContext(x.ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "dynvit")
	if value := h.login.authorization(at.RequestURI()); value != "" {
		req.Header.Set("Authorization", value)
	}
	for {
		l, err := h.reach(x, at)
		if err != nil {
			return nil, err
		}
		answer, err := l.ask(req)
		if err == nil || !l.used || x.ctx.Err() != nil {
			return answer, err
		}
		x.hangUp()
	}
}

// reach is the line that is left, or a new one.
func (h *source) reach(x *exchange, at *url.URL) (*line, error) {
	l := h.spare
	h.spare = nil
	if l != nil && l.to != origin(at) {
		l.Close()
		l = nil
	}
	if l == nil {
		var err error
		if l, err = dial(x.ctx, at, min(connectTimeout, h.stall), h.trust); err != nil {
			return nil, h.led(at, err)
		}
	}
	x.over(l)
	return l, nil
}

// led says where an error comes from that is not where the source leads. What is
// trusted can be configured of an https source alone.
func (h *source) led(at *url.URL, err error) error {
	if at.Scheme == h.url.Scheme {
		return err
	}
	return fmt.Errorf("redirected to %s, which the source had better name itself: %w", origin(at), err)
}

// redirected is where a camera sends us on to: another path, or itself over https. A
// request to another host or port could be to anybody, in the camera's name.
func redirected(from *url.URL, location string) (*url.URL, error) {
	to, err := from.Parse(location)
	if err != nil || to.Host == "" {
		return nil, errors.New("redirected to what is no address")
	}
	to.User, to.Fragment = nil, ""
	same := strings.EqualFold(to.Hostname(), from.Hostname())
	if same && (origin(to) == origin(from) || from.Scheme == "http" && to.Scheme == "https") {
		return to, nil
	}
	return nil, fmt.Errorf("redirected to %s, which is not followed: only paths of the same host and port are, and its https", origin(to))
}

// refusal is an answer's status, with what to do about it where that is known.
func (h *source) refusal(answer *http.Response, challenges []string) string {
	if answer.StatusCode != http.StatusUnauthorized {
		return answer.Status
	}
	if schemes := unspoken(challenges); schemes != "" {
		return answer.Status + ": it wants " + schemes + ", spoken are digest (MD5, SHA-256) and basic"
	}
	return answer.Status + ": want user:password@ before the host, or others"
}
