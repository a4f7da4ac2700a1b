package outbound

import "net/netip"

// metadata lists the addresses at which clouds hand credentials to whoever
// asks from inside. 169.254.169.254 is link-local and needs no row.
var metadata = map[netip.Addr]bool{
	netip.MustParseAddr("100.100.100.200"): true, // Alibaba Cloud
	netip.MustParseAddr("168.63.129.16"):   true, // Azure
	netip.MustParseAddr("192.0.0.192"):     true, // Oracle Cloud
	netip.MustParseAddr("fd00:ec2::254"):   true, // AWS
	netip.MustParseAddr("fd20:ce::254"):    true, // Google Cloud
}

var (
	nat64     = netip.MustParsePrefix("64:ff9b::/96")
	sixToFour = netip.MustParsePrefix("2002::/16")
)

// forbidden says what an address is that the bridge never calls, "" for others.
// Private networks are allowed: a proxy or a Datasync behind a VPN lives there.
func forbidden(ip netip.Addr) string {
	ip = embedded(ip.WithZone(""))
	switch {
	case metadata[ip]:
		return "a metadata address"
	case ip.IsLinkLocalUnicast(), ip.IsLinkLocalMulticast(), ip.IsInterfaceLocalMulticast():
		return "a link-local address"
	case ip.IsMulticast():
		return "a multicast address"
	case ip.IsUnspecified():
		return "the unspecified address" // Linux connects it to loopback
	}
	return ""
}

// embedded returns the IPv4 address that an IPv6 address stands for where it
// stands for one, so that no spelling gets past the list.
func embedded(ip netip.Addr) netip.Addr {
	ip = ip.Unmap()
	if !ip.Is6() {
		return ip
	}
	b := ip.As16()
	switch {
	case nat64.Contains(ip):
		return netip.AddrFrom4([4]byte(b[12:16]))
	case sixToFour.Contains(ip):
		return netip.AddrFrom4([4]byte(b[2:6]))
	}
	return ip
}
