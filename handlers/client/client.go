// Package client is a Go client of the native API. It works over the network and, with InProcess, on a
// handler of the same process.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// timeout bounds one request.
	timeout = 30 * time.Second
	// maxAnswer bounds the answer to one request.
	maxAnswer = 64 << 20
)

// Client sends requests of one principal. Its methods may be called from any goroutine.
type Client struct {
	base  string
	token string
	http  *http.Client
}

// New makes a client of the server at a base URL, such as http://127.0.0.1:8080, with a bearer token. The
// transport is http.DefaultTransport when nil.
func New(base, token string, transport http.RoundTripper) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("%q is not the URL of a server: use one such as http://127.0.0.1:8080", base)
	}
	return &Client{
		base:  strings.TrimSuffix(base, "/"),
		token: token,
		http: &http.Client{Transport: transport, Timeout: timeout, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // the token is for this server alone
		}},
	}, nil
}

// Get reads one resource into a value. The position is that of the answer.
func (c *Client) Get(ctx context.Context, path string, query url.Values, into any) (position uint64, err error) {
	answer, err := c.get(ctx, path, query)
	if err != nil {
		return 0, err
	}
	if err := json.Unmarshal(answer.body, into); err != nil {
		return 0, fmt.Errorf("read the answer of %s: %w", path, err)
	}
	return answer.position(), nil
}

// get sends a GET, and again while the server says that it is not available for the moment.
func (c *Client) get(ctx context.Context, path string, query url.Values) (*response, error) {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return persist(ctx, func() (*response, error) { return c.send(ctx, http.MethodGet, path, nil, nil) })
}

// response is an answer read to its end.
type response struct {
	header http.Header
	body   []byte
}

// send does one request. An answer that is not a success is an *Error.
func (c *Client) send(ctx context.Context, method, path string, header http.Header, body []byte) (*response, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make the request: %w", err)
	}
	if body == nil {
		request.Body = nil
	}
	maps.Copy(request.Header, header)
	request.Header.Set("Accept", "application/json")
	if position, ok := ctx.Value(minPosition{}).(string); ok && method == http.MethodGet {
		request.Header.Set("Ledger-Min-Position", position)
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return nil, &UnreachableError{Server: c.base, Err: err}
	}
	defer func() { _ = answer.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, &UnreachableError{Server: c.base, Err: err}
	case len(data) > maxAnswer:
		return nil, errors.New("the answer is larger than 64 MiB: ask for less")
	case answer.StatusCode < 200 || answer.StatusCode > 299:
		return nil, errorOf(answer, data)
	default:
		return &response{header: answer.Header, body: data}, nil
	}
}
