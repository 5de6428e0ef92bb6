package webhooks

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// sender sends notices. It follows no redirects, asks no proxy and dials what its reach allows.
type sender struct {
	signer *signer
	reach  Reach
	client *http.Client
	slots  chan struct{}
}

func newSender(s *signer, reach Reach) *sender {
	dialer := &net.Dialer{Timeout: attemptTimeout, KeepAlive: -1, Control: reach.control}
	return &sender{signer: s, reach: reach, slots: make(chan struct{}, maxAttempts), client: &http.Client{
		Timeout:       attemptTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			TLSHandshakeTimeout:    attemptTimeout,
			ResponseHeaderTimeout:  attemptTimeout,
			IdleConnTimeout:        30 * time.Second,
			MaxIdleConnsPerHost:    1,
			MaxResponseHeaderBytes: 4 * maxAnswer,
			DisableCompression:     true,
		},
	}}
}

func (s *sender) close() { s.client.CloseIdleConnections() }

// send makes one attempt and gives the status of the answer. Its error never repeats the receiver's address,
// which may hold secrets.
func (s *sender) send(ctx context.Context, to string, n notice) (status int, err error) {
	if err := s.reach.judge(to); err != nil {
		return 0, err
	}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	body, err := n.body()
	if err != nil {
		return 0, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return 0, errOutOfReach
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "permledger")
	r.Header.Set("MS-CorrelationId", n.correlation)
	r.Header.Set("Webhook-Id", n.id.String())
	if err := s.signer.sign(r.Header, body); err != nil {
		return 0, err
	}
	answer, err := s.client.Do(r)
	if err != nil {
		if wrapped := (*url.Error)(nil); errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return 0, err
	}
	_, _ = io.CopyN(io.Discard, answer.Body, maxAnswer) // what it says beyond its status does not matter
	return answer.StatusCode, answer.Body.Close()
}
