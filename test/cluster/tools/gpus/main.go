// gpus is a device plugin of the kubelet that offers pretend GPUs as nvidia.com/gpu. As with the real
// one, a container learns which it was given from NVIDIA_VISIBLE_DEVICES. A file in -sick-folder that is
// named as a GPU makes that one unhealthy for as long as it is there.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

const (
	resource = "nvidia.com/gpu"
	socket   = "pretend-gpus.sock"
	poll     = 200 * time.Millisecond
)

type plugin struct {
	api.UnimplementedDevicePluginServer
	node       string
	count      int
	sickFolder string
}

func main() {
	p := &plugin{}
	flag.StringVar(&p.node, "node", "node", "first part of the names of the GPUs")
	flag.IntVar(&p.count, "count", 1, "number of GPUs")
	flag.StringVar(&p.sickFolder, "sick-folder", "", "folder whose files name the GPUs that are unhealthy")
	folder := flag.String("folder", api.DevicePluginPath, "the kubelet's folder of device plugins")
	flag.Parse()
	log.Fatal(p.serve(*folder))
}

// serve offers the GPUs to the kubelet, and again whenever the kubelet has started anew: it empties the
// folder of sockets then.
func (p *plugin) serve(folder string) error {
	own := filepath.Join(folder, socket)
	for {
		for !exists(filepath.Join(folder, "kubelet.sock")) {
			time.Sleep(poll)
		}
		os.Remove(own)
		listener, err := net.Listen("unix", own)
		if err != nil {
			return err
		}
		server := grpc.NewServer()
		api.RegisterDevicePluginServer(server, p)
		go server.Serve(listener)
		if err := register(folder); err != nil {
			log.Printf("the kubelet does not take the plugin yet: %v", err)
		} else {
			log.Printf("offering %d x %s", p.count, resource)
			for exists(own) {
				time.Sleep(poll)
			}
		}
		server.Stop()
		time.Sleep(poll)
	}
}

func register(folder string) error {
	target := "unix://" + filepath.Join(folder, "kubelet.sock")
	connection, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, err = api.NewRegistrationClient(connection).Register(ctx, &api.RegisterRequest{
		Version: api.Version, Endpoint: socket, ResourceName: resource,
	})
	return err
}

func (p *plugin) GetDevicePluginOptions(context.Context, *api.Empty) (*api.DevicePluginOptions, error) {
	return &api.DevicePluginOptions{}, nil
}

// ListAndWatch tells the kubelet of all GPUs, at first and after each change of health.
func (p *plugin) ListAndWatch(_ *api.Empty, stream grpc.ServerStreamingServer[api.ListAndWatchResponse]) error {
	var told []string
	for {
		health := make([]string, p.count)
		devices := make([]*api.Device, p.count)
		for i := range devices {
			health[i] = p.health(p.name(i))
			devices[i] = &api.Device{ID: p.name(i), Health: health[i]}
		}
		if !slices.Equal(health, told) {
			if err := stream.Send(&api.ListAndWatchResponse{Devices: devices}); err != nil {
				return err
			}
			told = health
		}
		select {
		case <-stream.Context().Done():
			return nil
		case <-time.After(poll):
		}
	}
}

func (p *plugin) Allocate(_ context.Context, request *api.AllocateRequest) (*api.AllocateResponse, error) {
	response := &api.AllocateResponse{}
	for _, container := range request.ContainerRequests {
		visible := map[string]string{"NVIDIA_VISIBLE_DEVICES": strings.Join(container.DevicesIds, ",")}
		response.ContainerResponses = append(response.ContainerResponses, &api.ContainerAllocateResponse{Envs: visible})
	}
	return response, nil
}

func (p *plugin) name(i int) string { return fmt.Sprintf("GPU-%s-%d", p.node, i) }

func (p *plugin) health(name string) string {
	if p.sickFolder != "" && exists(filepath.Join(p.sickFolder, name)) {
		return api.Unhealthy
	}
	return api.Healthy
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
