package domain

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"
)

// Command is a wish to change something. Its fields, with their JSON names, are the body that callers send.
//
//sumtype:decl
type Command interface {
	// CommandName is the imperative name under which callers send it.
	CommandName() string
	// target is the customer concerned; zero for a command about the partner itself.
	target() TenantID
	// permit says which roles may send it, and by which rule the others may not.
	permit() permit
	// validate notes every field that breaks L5.
	validate(f *faults)
	// decide judges the command. It must not change the state.
	decide(d *decision) ([]Event, error)
	// reason is why the sender wants it, in their own words.
	reason() string
}

// Note is what every command may carry beside its own fields.
type Note struct {
	Reason string `json:"reason,omitempty" maxLength:"500" doc:"Why, in the sender's own words; kept in the log"`
}

func (n Note) reason() string { return n.Reason }

// permit is who may send a command.
type permit struct {
	roles    Roles
	rule     string // cited to those who may not
	user     bool   // needs a signed-in user: an application alone is refused
	newcomer bool   // makes its target known: the target need not be so before
}

// Commands lists one value of every command, in the order of the manual.
func Commands() []Command {
	return []Command{
		RegisterPartner{},
		RegisterCustomer{},
		RecordSubscription{},
		ChangeSubscriptionStatus{},
		AssignSubscriptionRole{},
		RemoveSubscriptionRole{},
		SetReservationPrice{},
		GrantPurchasePermission{},
		RevokePurchasePermission{},
		SetPurchasePermissions{},
		PurchaseReservation{},
		ReportCustomerPurchase{},
		PurchaseSavingsPlan{},
		ReportCustomerSavingsPlan{},
		ExchangeReservation{},
		ReturnReservation{},
		RenewReservation{},
		ChangeReservationScope{},
		RenameReservation{},
		SplitReservation{},
		MergeReservations{},
		RegisterWebhook{},
		RemoveWebhook{},
	}
}

// Request is a command with everything that is judged: who sends it and under which id. Only
// NewRequest makes one, so that what reaches the book is known to be well formed.
type Request struct {
	id       CommandID
	actor    Actor
	command  Command
	expected uint64
	digest   [sha256.Size]byte
}

// Faults names every field of a command that breaks L5; none when it is well formed.
func Faults(command Command) []FieldError {
	f := faults{}
	command.validate(&f)
	f.text("reason", command.reason(), 0, 500)
	return f.list
}

// InvalidCommand is the refusal of a command whose fields are at fault.
func InvalidCommand(fields []FieldError) *Error {
	return &Error{Code: CodeInvalid, Rule: "L5", Detail: "Correct the fields listed under errors and send the command again.", Fields: fields}
}

// NewRequest checks a command's fields (L5) and fixes its content. A refusal is an *Error with
// CodeInvalid that names every field at fault.
func NewRequest(id CommandID, actor Actor, command Command) (Request, error) {
	if fields := Faults(command); len(fields) > 0 {
		return Request{}, InvalidCommand(fields)
	}
	content, err := content(make([]byte, 0, 1024), actor, command)
	if err != nil {
		return Request{}, fmt.Errorf("encode %s: %w", command.CommandName(), err)
	}
	return Request{id: id, actor: actor, command: command, digest: sha256.Sum256(content)}, nil
}

// content appends what makes two commands the same: the command and who sends it.
func content(b []byte, actor Actor, command Command) ([]byte, error) {
	b = appendText(append(b, `{"name":`...), command.CommandName())
	b = appendID(append(b, `,"tenant":`...), actor.Tenant.UUID)
	b = appendID(append(b, `,"user":`...), actor.User.UUID)
	b = append(b, `,"command":`...)
	if a, ok := command.(appender); ok {
		return append(a.appendJSON(b), '}'), nil
	}
	body, err := json.Marshal(command)
	return append(append(b, body...), '}'), err
}

// IfUnchangedSince lets the request succeed only while nothing about its customer was recorded after a
// position; 0 asks for nothing.
func (r Request) IfUnchangedSince(position uint64) Request {
	r.expected = position
	return r
}

// ID is the command id.
func (r Request) ID() CommandID { return r.id }

// Actor is who sends the command.
func (r Request) Actor() Actor { return r.actor }

// Command is what is wished.
func (r Request) Command() Command { return r.command }

// Reason is why, in the sender's own words.
func (r Request) Reason() string { return r.command.reason() }

// Digest is the SHA-256 of the command's content and sender: the same id with another digest is
// refused (L3).
func (r Request) Digest() [sha256.Size]byte { return r.digest }

// decision is what a command may look at while it is judged.
type decision struct {
	*tables
	id         CommandID
	actor      Actor
	at         time.Time // the recorded time of the command (L6)
	partner    TenantID
	customer   TenantID
	byCustomer bool // sent by a customer's own user
	policies   []Policy
}
