// dns answers the addresses of Services, as CoreDNS does in other clusters: SERVICE.NAMESPACE.svc.cluster.local
// is the cluster address, or without one those of all ready pods; HOSTNAME.SERVICE.NAMESPACE.svc.cluster.local
// is one pod of it. All other names do not exist. It speaks UDP and knows addresses of IPv4 alone.
package main

import (
	"context"
	"flag"
	"log"
	"net"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	core "k8s.io/client-go/listers/core/v1"
	discovery "k8s.io/client-go/listers/discovery/v1"
	"k8s.io/client-go/tools/clientcmd"
)

const zone = "svc.cluster.local."

func main() {
	kubeconfig := flag.String("kubeconfig", "", "who asks the API server; may list and watch services and endpointslices")
	address := flag.String("address", "127.0.0.1:53", "address to answer on")
	flag.Parse()
	socket, err := net.ListenPacket("udp4", *address)
	if err != nil {
		log.Fatal(err)
	}
	names, err := watch(*kubeconfig)
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("answering on %s", *address)
	buffer := make([]byte, 4096)
	for {
		length, asker, err := socket.ReadFrom(buffer)
		if err != nil {
			log.Fatal(err)
		}
		if reply := answer(buffer[:length], names.lookup); reply != nil {
			socket.WriteTo(reply, asker)
		}
	}
}

type names struct {
	services core.ServiceLister
	slices   discovery.EndpointSliceLister
}

// watch returns when the names that exist now are known.
func watch(kubeconfig string) (*names, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	services := factory.Core().V1().Services().Lister()
	slices := factory.Discovery().V1().EndpointSlices().Lister()
	factory.Start(context.Background().Done())
	factory.WaitForCacheSync(context.Background().Done())
	return &names{services, slices}, nil
}

// lookup gives the addresses of a name in lower case with its last dot, and whether the name exists.
func (n *names) lookup(name string) (addresses []net.IP, exists bool) {
	labels := strings.Split(strings.TrimSuffix(name, "."+zone), ".")
	if !strings.HasSuffix(name, "."+zone) || len(labels) < 2 || len(labels) > 3 {
		return nil, false
	}
	hostname := ""
	if len(labels) == 3 {
		hostname, labels = labels[0], labels[1:]
	}
	service, err := n.services.Services(labels[1]).Get(labels[0])
	if err != nil {
		return nil, false
	}
	if hostname == "" && service.Spec.ClusterIP != corev1.ClusterIPNone {
		return []net.IP{net.ParseIP(service.Spec.ClusterIP)}, true
	}
	addresses = n.endpoints(service, hostname)
	return addresses, hostname == "" || len(addresses) > 0
}

// endpoints gives the addresses of the ready pods of a service, or those of one host name.
func (n *names) endpoints(service *corev1.Service, hostname string) (addresses []net.IP) {
	mine := labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: service.Name})
	slices, err := n.slices.EndpointSlices(service.Namespace).List(mine)
	if err != nil {
		return nil
	}
	for _, slice := range slices {
		for _, endpoint := range slice.Endpoints {
			ready := endpoint.Conditions.Ready == nil || *endpoint.Conditions.Ready
			named := hostname == "" || (endpoint.Hostname != nil && *endpoint.Hostname == hostname)
			if !ready || !named {
				continue
			}
			for _, address := range endpoint.Addresses {
				addresses = append(addresses, net.ParseIP(address))
			}
		}
	}
	return addresses
}
