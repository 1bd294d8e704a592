package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// wireRow measures iperf3 servers in a mydocker and a docker container, through a published port and over the
// bridge, in Gbit/s.
func wireRow(h *host) (results []result, err error) {
	if err := errors.Join(h.image(), h.docker()); err != nil {
		return nil, err
	}
	server := []string{"-v", "/usr:/usr:ro", "-v", "/lib:/lib:ro", "-v", "/lib64:/lib64:ro", "busybox", "/usr/bin/iperf3", "-s"}
	start := func(port string) []string {
		return append([]string{"run", "-d", "--name", "wire", "-p", port}, server...)
	}
	defer func() {
		_, err1 := do(ours("rm", "-f", "wire")...)
		_, err2 := do(docker("rm", "-f", "wire")...)
		err = errors.Join(err, err1, err2)
	}()
	if _, err := do(ours(start("127.0.0.1:5301:5201")...)...); err != nil {
		return nil, err
	}
	if _, err := do(docker(start("127.0.0.1:5302:5201")...)...); err != nil {
		return nil, err
	}
	ourAddress, err := do("sh", "-c", "mydocker ps --format '{{index .IPs 0}}' -f name=wire")
	if err != nil {
		return nil, err
	}
	theirAddress, err := do(docker("inspect", "-f", "{{.NetworkSettings.IPAddress}}", "wire")...)
	if err != nil {
		return nil, err
	}
	n := 5
	if h.pairs > 0 {
		n = h.pairs
	}
	for _, way := range []struct {
		work         string
		ours, theirs []string
		target       float64
	}{
		{"port on 127.0.0.1", []string{"-c", "127.0.0.1", "-p", "5301"}, []string{"-c", "127.0.0.1", "-p", "5302"}, 1.5},
		{"bridge to host", []string{"-c", ourAddress, "-R"}, []string{"-c", theirAddress, "-R"}, 0.98},
	} {
		var samples [2][]float64
		for range n {
			for i, args := range [][]string{way.ours, way.theirs} {
				gbits, err := iperf3(args)
				if err != nil {
					return nil, err
				}
				samples[i] = append(samples[i], gbits)
			}
		}
		r := result{Work: way.work, Peer: "docker", Unit: "Gbit/s", Target: way.target, More: true}
		results = append(results, compare(r, samples[0], samples[1]))
	}
	return results, nil
}

// iperf3 measures one stream for a second and returns the received Gbit/s. It retries until the server listens.
func iperf3(args []string) (float64, error) {
	var err error
	for range 20 {
		var out string
		if out, err = do(append([]string{"iperf3", "-J", "-t", "1", "-O", "0.3"}, args...)...); err == nil {
			var answer struct {
				End struct {
					Received struct {
						Bits float64 `json:"bits_per_second"`
					} `json:"sum_received"`
				} `json:"end"`
			}
			if err := json.Unmarshal([]byte(out), &answer); err != nil {
				return 0, fmt.Errorf("iperf3: %w", err)
			}
			return answer.End.Received.Bits / 1e9, nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return 0, err
}
