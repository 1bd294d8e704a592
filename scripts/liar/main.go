// Command liar is a registry on loopback that adds faults to another one, for tests. It passes requests on, except
// the first N requests of layers (blobs of 64 KiB and more):
//
//	liar REGISTRY LOG FAULT [N]
//
//	none      no fault
//	reset     reset the connection after half of the bytes
//	cut       close the connection after half of the bytes
//	wrong     change one byte
//	stall     send nothing after half of the bytes
//	slow      send the second half at a byte every 100 ms
//	busy      503 with Retry-After: 1
//	limit     429 with Retry-After: 1
//	lost      404
//
// N is 1 by default; 0 means always. It prints its address. For each answer it appends to LOG the status, the number of
// bytes sent, the method, the path and the Range header.
package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

const smallest = 64 << 10

type liar struct {
	upstream string
	proxy    http.Handler
	log      *os.File
	fault    string
	times    int64
	count    atomic.Int64
}

func main() {
	l, err := parse(os.Args[1:])
	if err == nil {
		err = l.serve()
	}
	fmt.Fprintln(os.Stderr, "liar:", err)
	os.Exit(1)
}

func parse(args []string) (*liar, error) {
	if len(args) < 3 || len(args) > 4 {
		return nil, fmt.Errorf("usage: liar REGISTRY LOG FAULT [N]")
	}
	l := &liar{upstream: "http://" + args[0], fault: args[2], times: 1}
	target, err := url.Parse(l.upstream)
	if err != nil {
		return nil, err
	}
	l.proxy = httputil.NewSingleHostReverseProxy(target)
	if len(args) == 4 {
		if l.times, err = strconv.ParseInt(args[3], 10, 64); err != nil {
			return nil, err
		}
	}
	l.log, err = os.OpenFile(args[1], os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	return l, err
}

func (l *liar) serve() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	return http.Serve(listener, l)
}

// meter counts the bytes of an answer.
type meter struct {
	http.ResponseWriter
	status, sent int
}

func (m *meter) WriteHeader(status int) {
	m.status = status
	m.ResponseWriter.WriteHeader(status)
}

func (m *meter) Write(b []byte) (int, error) {
	n, err := m.ResponseWriter.Write(b)
	m.sent += n
	m.ResponseWriter.(http.Flusher).Flush()
	return n, err
}

// ServeHTTP implements http.Handler.
func (l *liar) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m := &meter{ResponseWriter: w, status: http.StatusOK}
	defer func() {
		fmt.Fprintf(l.log, "%d %d %s %s %s\n", m.status, m.sent, r.Method, r.URL.Path, r.Header.Get("Range"))
	}()
	if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/blobs/") {
		l.proxy.ServeHTTP(m, r)
		return
	}
	resp, err := http.Get(l.upstream + r.URL.Path)
	if err != nil {
		http.Error(m, err.Error(), http.StatusBadGateway)
		return
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	switch {
	case err != nil || resp.StatusCode != http.StatusOK:
		http.Error(m, resp.Status, resp.StatusCode)
	case len(data) < smallest || l.times > 0 && l.count.Add(1) > l.times:
		http.ServeContent(m, r, "", time.Time{}, bytes.NewReader(data))
	default:
		l.harm(m, r, data)
	}
}

// harm sends data with the fault.
func (l *liar) harm(m *meter, r *http.Request, data []byte) {
	half := len(data) / 2
	begin := func() {
		m.Header().Set("Content-Length", strconv.Itoa(len(data)))
		m.Write(data[:half])
	}
	switch l.fault {
	case "reset", "cut":
		begin()
		time.Sleep(300 * time.Millisecond) // a reset discards bytes that are still in the buffers
		conn, _, err := m.ResponseWriter.(http.Hijacker).Hijack()
		if err == nil {
			if tcp, ok := conn.(*net.TCPConn); ok && l.fault == "reset" {
				tcp.SetLinger(0)
			}
			conn.Close()
		}
	case "wrong":
		data[half] ^= 1
		http.ServeContent(m, r, "", time.Time{}, bytes.NewReader(data))
	case "stall":
		begin()
		<-r.Context().Done()
	case "slow":
		begin()
		for i := half; i < len(data) && r.Context().Err() == nil; i++ {
			m.Write(data[i : i+1])
			time.Sleep(100 * time.Millisecond)
		}
	case "busy", "limit":
		m.Header().Set("Retry-After", "1")
		m.WriteHeader(map[string]int{"busy": http.StatusServiceUnavailable, "limit": http.StatusTooManyRequests}[l.fault])
	case "lost":
		http.NotFound(m, r)
	default:
		http.ServeContent(m, r, "", time.Time{}, bytes.NewReader(data))
	}
}
