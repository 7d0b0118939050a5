// slow-link makes what leaves through a network device late, slow or lost, as tc-netem does; netem is
// missing from many kernels. It makes a TAP device NAME. The caller has all that leaves through -device
// redirected to NAME; from there this program sends it on through -device, past the redirection.
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// What comes while so much waits for its turn is lost, as in a router.
const longestQueue = 200 * time.Millisecond

type frame struct {
	data []byte
	due  time.Time
}

func main() {
	name := flag.String("name", "slow0", "TAP device to make")
	device := flag.String("device", "eth0", "device that frames leave through")
	delay := flag.Duration("delay", 0, "time that each frame is held")
	rate := flag.Float64("rate", 0, "Mbit/s at most; 0: as fast as it goes")
	cut := flag.Bool("cut", false, "let nothing through")
	flag.Parse()

	tap, err := openTap(*name)
	if err != nil {
		log.Fatalf("making the TAP device %s: %v", *name, err)
	}
	send, err := sender(*device)
	if err != nil {
		log.Fatalf("opening %s: %v", *device, err)
	}
	late := make(chan frame, 100_000)
	go func() {
		for next := range late {
			time.Sleep(time.Until(next.due))
			send(next.data)
		}
	}()
	log.Printf("%s: delay %s, rate %g Mbit/s, cut %t", *device, *delay, *rate, *cut)
	buffer := make([]byte, 65_536)
	free := time.Now() // when all frames so far have left
	for {
		length, err := tap.Read(buffer)
		if err != nil {
			log.Fatal(err)
		}
		now := time.Now()
		if free.Before(now) {
			free = now
		}
		if *cut || free.Sub(now) > longestQueue {
			continue
		}
		if *rate > 0 {
			free = free.Add(time.Duration(float64(length*8) / *rate * float64(time.Microsecond)))
		}
		late <- frame{append([]byte(nil), buffer[:length]...), free.Add(*delay)}
	}
}

// openTap makes a device whose reader gets whole frames: without vnet headers the kernel cuts large
// ones to size and completes checksums before.
func openTap(name string) (*os.File, error) {
	descriptor, err := unix.Open("/dev/net/tun", unix.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	request, err := unix.NewIfreq(name)
	if err != nil {
		return nil, err
	}
	request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(descriptor, unix.TUNSETIFF, request); err != nil {
		return nil, fmt.Errorf("TUNSETIFF: %w", err)
	}
	return os.NewFile(uintptr(descriptor), name), nil
}

// sender gives a function that sends a frame through a device, not through its traffic control.
func sender(device string) (func([]byte), error) {
	link, err := net.InterfaceByName(device)
	if err != nil {
		return nil, err
	}
	socket, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.SetsockoptInt(socket, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1); err != nil {
		return nil, fmt.Errorf("PACKET_QDISC_BYPASS: %w", err)
	}
	address := &unix.SockaddrLinklayer{Ifindex: link.Index, Halen: 6}
	return func(data []byte) {
		if err := unix.Sendto(socket, data, 0, address); err != nil {
			log.Print(err)
		}
	}, nil
}
