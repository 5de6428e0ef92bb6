package azure

type operation struct {
	Name         string           `json:"name"`
	IsDataAction bool             `json:"isDataAction"`
	Display      operationDisplay `json:"display"`
	Origin       string           `json:"origin"`
}

type operationDisplay struct {
	Provider    string `json:"provider"`
	Resource    string `json:"resource"`
	Operation   string `json:"operation"`
	Description string `json:"description"`
}

// known lists what may be done at this door, as role definitions name it.
var known = []operationDisplay{
	{"Microsoft.Capacity", "calculatePrice", "action", "Calculate the price of a reservation"},
	{"Microsoft.Capacity", "reservationOrders", "read", "Read reservation orders"},
	{"Microsoft.Capacity", "reservationOrders", "write", "Buy a reservation"},
	{"Microsoft.Capacity", "reservationOrders/reservations", "read", "Read reservations"},
	{"Microsoft.Capacity", "reservationOrders/reservations", "write", "Change the scope or the renewal of a reservation"},
	{"Microsoft.Capacity", "reservationOrders/reservations/availableScopes", "action", "Ask where a discount can apply"},
	{"Microsoft.Capacity", "reservationOrders/split", "action", "Split a reservation"},
	{"Microsoft.Capacity", "reservationOrders/merge", "action", "Merge reservations"},
	{"Microsoft.Capacity", "reservationOrders/calculateRefund", "action", "Calculate the refund of a return"},
	{"Microsoft.Capacity", "reservationOrders/return", "action", "Return a reservation"},
	{"Microsoft.Capacity", "calculateExchange", "action", "Calculate an exchange"},
	{"Microsoft.Capacity", "exchange", "action", "Exchange a reservation"},
}

// operations lists what the provider can do.
func (*Door) operations(*request) (any, error) {
	out := pageBody[operation]{Value: make([]operation, len(known))}
	for i, o := range known {
		out.Value[i] = operation{Name: o.Provider + "/" + o.Resource + "/" + o.Operation, Display: o, Origin: "user"}
	}
	return out, nil
}
