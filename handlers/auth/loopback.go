package auth

import (
	"fmt"
	"net"
)

// RequireLoopback refuses an address that other machines can reach. Development tokens may be served on
// loopback only. Give it the address of the listener, not what was asked for: a name or an empty host
// may mean any interface.
func RequireLoopback(address net.Addr) error {
	switch a := address.(type) {
	case *net.TCPAddr:
		if a.IP.IsLoopback() {
			return nil
		}
	case *net.UnixAddr:
		return nil
	}
	return fmt.Errorf("%s can be reached from other machines: development tokens are accepted on loopback only; listen on 127.0.0.1 or use an OIDC issuer", address)
}
