package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"permledger/domain"
	"permledger/handlers/body"
	"permledger/handlers/ledger"
	"permledger/handlers/problem"
)

// commandInput is a command as it is sent. Its body is read by decode, which is stricter than the framework.
type commandInput struct {
	ID       guid   `header:"Idempotency-Key" doc:"Command id. The same id never has a second effect and always gets the same answer; made here when absent"`
	Expected string `header:"If-Match" maxLength:"40" doc:"Refuse with 412 when anything about the customer was recorded after this position: \"41802\""`
	DryRun   bool   `query:"dryRun" doc:"Decide without recording"`
	RawBody  []byte `contentType:"application/json"`
}

// commandOutput is the answer to a command.
type commandOutput struct {
	Position uint64 `header:"Ledger-Position" doc:"Position of the answer"`
	ID       string `header:"Idempotency-Key" doc:"The command id"`
	Body     commandAnswer
}

type commandAnswer struct {
	Position  uint64           `json:"position" doc:"Of its last event, or of the head it was judged at when it has none"`
	CommandID domain.CommandID `json:"commandId"`
	Events    []ledger.Event   `json:"events" doc:"None when what was wished is already so"`
}

// maxExpected bounds If-Match, in bytes; the tag of commandInput says so too.
const maxExpected = 40

// read implements readsItself. Of bodies it reads those that say how long they are.
func (in *commandInput) read(ctx huma.Context) (taken bool, err error) {
	r, _ := humago.Unwrap(ctx)
	key := r.Header.Get(headerKey)
	in.Expected = r.Header.Get("If-Match")
	in.DryRun = r.URL.RawQuery == "dryRun=true"
	switch {
	case key != "" && !in.ID.parse(key), len(in.Expected) > maxExpected, r.URL.RawQuery != "" && !in.DryRun, r.ContentLength <= 0:
		return false, nil
	}
	in.RawBody, err = bodyOf(ctx, r.ContentLength)
	return true, err
}

// bodyOf reads a body of a known length.
func bodyOf(ctx huma.Context, length int64) ([]byte, error) {
	content := make([]byte, length)
	_ = ctx.SetReadDeadline(time.Now().Add(bodyTimeout)) // not every connection has one
	_, err := io.ReadFull(ctx.BodyReader(), content)
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return nil, requestError(http.StatusRequestTimeout, nil)
	}
	_ = ctx.SetReadDeadline(time.Time{})
	return content, err
}

// write implements writesItself.
func (o *commandOutput) write(w http.ResponseWriter) error {
	content, err := o.Body.appendJSON(make([]byte, 0, answerSize))
	if err == nil {
		w.Header()[headerKey] = []string{o.ID}
		writeJSON(w, o.Position, content)
	}
	return err
}

// appendJSON appends the answer. Events are copied as they are stored, without reading them again.
func (a commandAnswer) appendJSON(b []byte) ([]byte, error) {
	b = strconv.AppendUint(append(b, `{"position":`...), a.Position, 10)
	b = append(append(append(b, `,"commandId":"`...), a.CommandID.String()...), `","events":[`...)
	for i, e := range a.Events {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendUint(append(b, `{"position":`...), e.Position, 10)
		var err error
		if b, err = jsontext.AppendQuote(append(b, `,"type":`...), e.Type); err != nil {
			return nil, fmt.Errorf("write an event's type: %w", err)
		}
		b = append(append(append(b, `,"data":`...), e.Data...), '}')
	}
	return append(b, "]}"...), nil
}

func commandPath(c domain.Command) string { return "/api/commands/" + c.CommandName() }

// command registers the route of a command.
func command[C domain.Command](a *API, summary string) {
	var zero C
	name := zero.CommandName()
	schemas := a.huma.OpenAPI().Components.Schemas
	schema := schemas.Schema(reflect.TypeFor[C](), true, name)
	decode := decoder[C](schemas, schema)
	handle := func(ctx context.Context, in *commandInput) (*commandOutput, error) {
		c, err := decode(in.RawBody)
		if err != nil {
			return nil, err
		}
		call, err := in.call(ctx, c)
		if err != nil {
			return nil, err
		}
		answer, err := a.gate.Execute(ctx, call)
		if err != nil {
			return nil, err
		}
		return encode(answer), nil
	}
	huma.Register(a.huma, huma.Operation{
		OperationID: name, Method: http.MethodPost, Path: commandPath(zero), Summary: summary, Tags: []string{"Commands"},
		MaxBodyBytes: body.Max + 1, BodyReadTimeout: bodyTimeout, SkipValidateBody: true,
		Middlewares: huma.Middlewares{refuseMedia, directly(handle)}, Parameters: correlationHeaders(),
	}, answered(handle))
	a.huma.OpenAPI().Paths[commandPath(zero)].Post.RequestBody.Content["application/json"].Schema = schema
}

// noCommand answers for names that no command has.
func noCommand(w http.ResponseWriter, r *http.Request) {
	problem.Write(w, r, problem.Refuse(problem.CodeNoSuchRoute, "There is no command of this name. Names are written as /docs lists them."))
}

// refuseMedia refuses a body of another kind before it is read.
func refuseMedia(ctx huma.Context, next func(huma.Context)) {
	r, w := humago.Unwrap(ctx)
	if err := body.Check(r); err != nil {
		problem.Write(w, r, err)
		return
	}
	next(ctx)
}

// answered gives the outcome of a handler, an error as a problem document.
func answered[I, O any](handle func(context.Context, *I) (*O, error)) func(context.Context, *I) (*O, error) {
	return func(ctx context.Context, in *I) (*O, error) {
		out, err := handle(ctx, in)
		if err != nil {
			return nil, problem.DocumentOf(ctx, err)
		}
		return out, nil
	}
}

// call puts together what the ledger judges.
func (in *commandInput) call(ctx context.Context, c domain.Command) (ledger.Call, error) {
	v := viewOf(ctx)
	if _, joins := c.(domain.RegisterPartner); joins && !v.MayBecomePartner {
		return ledger.Call{}, problem.Refuse(problem.CodeTenantNotAllowed, "Your tenant is not on this ledger's list of partners. Ask its operator to add it.")
	}
	expected, err := positionOf(in.Expected)
	if err != nil {
		return ledger.Call{}, err
	}
	id := in.ID.UUID
	if id == uuid.Nil {
		if id, err = uuid.NewV7(); err != nil {
			return ledger.Call{}, fmt.Errorf("make a command id: %w", err)
		}
	}
	return ledger.Call{
		ID: domain.CommandID{UUID: id}, Actor: v.Actor, Command: c,
		CorrelationID: problem.RequestOf(ctx).Correlation, Expected: expected, DryRun: in.DryRun,
	}, nil
}

// positionOf reads an expected position: a number, with or without the quotes of an entity tag.
func positionOf(tag string) (uint64, error) {
	if tag == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(strings.Trim(tag, `"`), 10, 64)
	if err != nil {
		return 0, problem.Invalid(domain.FieldError{Field: "header.If-Match", Detail: `is not a position: write a whole number in quotes, such as "41802"`})
	}
	return n, nil
}

func encode(a ledger.Answer) *commandOutput {
	return &commandOutput{
		Position: a.Position, ID: a.CommandID.String(),
		Body: commandAnswer{Position: a.Position, CommandID: a.CommandID, Events: a.Events},
	}
}

// correlationHeaders describes the headers by which a caller's own ids get into the log.
func correlationHeaders() []*huma.Param {
	text := &huma.Schema{Type: huma.TypeString}
	return []*huma.Param{
		{Name: "Correlation-Id", In: "header", Schema: text, Description: "Recorded with the command; MS-CorrelationId and the trace id of traceparent are taken as well"},
	}
}
