package webhooks

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"syscall"
)

// Reach is which addresses besides those of the public Internet receivers may have. Link-local ones, at which
// clouds give away credentials, are out of reach whatever is allowed.
type Reach struct {
	Loopback bool // this machine
	Private  bool // this machine and private networks
}

// errOutOfReach says that a receiver's address is not one that may be called.
var errOutOfReach = errors.New("the address is not one that may be called")

// private are the ranges of networks of one's own.
var private = prefixes("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")

// global is where IPv6 addresses of the Internet lie.
var global = netip.MustParsePrefix("2000::/3")

// reserved are ranges that are not of the Internet, or lead to other addresses.
var reserved = prefixes(
	"0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15",
	"198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
)

func prefixes(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		list[i] = netip.MustParsePrefix(text)
	}
	return list
}

func within(a netip.Addr, list []netip.Prefix) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// allows judges an address.
func (r Reach) allows(a netip.Addr) bool {
	a = a.Unmap()
	switch {
	case !a.IsValid() || a.Zone() != "":
		return false
	case a.IsLoopback():
		return r.Loopback || r.Private
	case within(a, private):
		return r.Private
	default:
		return !within(a, reserved) && (a.Is4() || global.Contains(a))
	}
}

// control is asked by the dialer about each address that it is about to call, after the name was looked up.
func (r Reach) control(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %w", errOutOfReach, err)
	}
	if !r.allows(at.Addr()) {
		return errOutOfReach
	}
	return nil
}

// judge refuses what can be told from the text of an address alone: plain http, where nothing on this machine
// is to be called, and numbers that are out of reach.
func (r Reach) judge(address string) error {
	parsed, err := url.Parse(address)
	if err != nil {
		return errOutOfReach
	}
	if parsed.Scheme == "http" && !r.Loopback && !r.Private {
		return errOutOfReach
	}
	if a, err := netip.ParseAddr(parsed.Hostname()); err == nil && !r.allows(a) {
		return errOutOfReach
	}
	return nil
}
