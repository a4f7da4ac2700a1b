package receiver

import (
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// proxies are the networks whose X-Forwarded-For is believed.
type proxies []netip.Prefix

func newProxies(texts []string) proxies {
	var out proxies
	for _, text := range texts {
		if p, err := parseNetwork(text); err == nil {
			out = append(out, p)
		}
	}
	return out
}

func (p proxies) trust(a netip.Addr) bool {
	for _, network := range p {
		if network.Contains(a) {
			return true
		}
	}
	return false
}

// client returns the rightmost hop that is not a trusted proxy. Everything to
// the left of it is whatever the client said.
func (p proxies) client(peer net.Addr, forwarded []string) netip.Addr {
	var at netip.Addr
	if tcp, ok := peer.(*net.TCPAddr); ok {
		at = tcp.AddrPort().Addr().Unmap().WithZone("")
	}
	if len(p) == 0 || len(forwarded) == 0 || !p.trust(at) {
		return at
	}
	hops := strings.Split(strings.Join(forwarded, ","), ",")
	for i := len(hops) - 1; i >= 0 && p.trust(at); i-- {
		hop, ok := parseHop(strings.TrimSpace(hops[i]))
		if !ok {
			break
		}
		at = hop
	}
	return at
}

// parseHop reads an address with or without a port.
func parseHop(text string) (netip.Addr, bool) {
	if withPort, err := netip.ParseAddrPort(text); err == nil {
		return withPort.Addr().Unmap().WithZone(""), true
	}
	a, err := netip.ParseAddr(strings.Trim(text, "[]"))
	return a.Unmap().WithZone(""), err == nil
}

// failures counts unauthenticated failures a minute by address, IPv6 by /64.
// Its table is bounded: once full, new addresses share one count.
type failures struct {
	limit int

	mu     sync.Mutex
	minute time.Time
	counts map[netip.Prefix]int
}

const maxAddresses = 8192

func newFailures(limit int) *failures {
	return &failures{limit: limit, counts: map[netip.Prefix]int{}}
}

// add counts one failure and reports whether the address is above the limit,
// and until when.
func (f *failures) add(a netip.Addr, now time.Time) (over bool, until time.Duration) {
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	network, _ := a.Prefix(bits)
	f.mu.Lock()
	defer f.mu.Unlock()
	if minute := now.Truncate(time.Minute); !minute.Equal(f.minute) {
		f.minute = minute
		clear(f.counts)
	}
	if _, known := f.counts[network]; !known && len(f.counts) >= maxAddresses {
		network = netip.Prefix{}
	}
	f.counts[network]++
	return f.counts[network] > f.limit, f.minute.Add(time.Minute).Sub(now)
}
