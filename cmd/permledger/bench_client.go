package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"
)

// benchClient is one connection that sends requests and reads answers, and does little else: clients share
// the processors with the server that is measured, and must not hide what it costs.
type benchClient struct {
	conn net.Conn
	in   *bufio.Reader
}

// request writes a whole request as it goes over the wire.
func request(method, path, token, key string, body []byte) []byte {
	b := make([]byte, 0, 1024+len(body))
	b = append(b, method+" "+path+" HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer "+token+"\r\n"...)
	if key != "" {
		b = append(b, "Idempotency-Key: "+key+"\r\n"...)
	}
	if body != nil {
		b = append(b, "Content-Type: application/json\r\nContent-Length: "+strconv.Itoa(len(body))+"\r\n"...)
	}
	return append(append(b, "\r\n"...), body...)
}

// call sends a request and reads its answer, which must be 200 and say its length.
func (c *benchClient) call(request []byte) error {
	if _, err := c.conn.Write(request); err != nil {
		return err
	}
	status, err := c.in.ReadSlice('\n')
	if err != nil {
		return err
	}
	ok := bytes.HasPrefix(status, []byte("HTTP/1.1 200 "))
	first, length := string(status), -1
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 {
			break
		}
		if value, found := bytes.CutPrefix(line, []byte("Content-Length: ")); found {
			if length, err = strconv.Atoi(string(value)); err != nil {
				return err
			}
		}
	}
	if length < 0 {
		return errors.New("an answer does not say how long it is")
	}
	if !ok {
		body := make([]byte, min(length, c.in.Size()))
		_, err := c.in.Read(body)
		return errors.Join(fmt.Errorf("answered with %s %s", bytes.TrimSpace([]byte(first)), body), err)
	}
	_, err = c.in.Discard(length)
	return err
}

// clients measures requests to an address by httpClients connections.
func (d *benchDoor) clients(address string, next func(client int) []byte) func(context.Context, time.Duration) (float64, error) {
	return func(ctx context.Context, limit time.Duration) (figure float64, err error) {
		if err := d.live.settle(ctx); err != nil {
			return 0, err
		}
		clients := make([]benchClient, httpClients)
		defer func() {
			for _, c := range clients {
				if c.conn != nil {
					err = errors.Join(err, c.conn.Close())
				}
			}
		}()
		for i := range clients {
			conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
			if err != nil {
				return 0, fmt.Errorf("connect: %w", err)
			}
			if err := conn.SetDeadline(time.Now().Add(limit + laneTimeout)); err != nil {
				return 0, err
			}
			clients[i] = benchClient{conn, bufio.NewReader(conn)}
		}
		load, err := drive(ctx, httpClients, limit, func(_ context.Context, client int) error {
			return clients[client].call(next(client))
		})
		return load.perSecond(), err
	}
}
