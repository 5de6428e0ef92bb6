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

// offered lists what may be done at this door, as role definitions name it.
var offered = []operationDisplay{
	{namespace, "calculatePrice", "action", "Calculate the price of a reservation"},
	{namespace, "reservationOrders", "read", "Read reservation orders"},
	{namespace, "reservationOrders", "write", "Buy a reservation"},
	{namespace, "reservationOrders/reservations", "read", "Read reservations"},
	{namespace, "reservationOrders/reservations", "write", "Change the scope, the renewal or the name of a reservation"},
	{namespace, "reservationOrders/reservations/availableScopes", "action", "Ask where a discount can apply"},
	{namespace, "reservationOrders/split", "action", "Split a reservation"},
	{namespace, "reservationOrders/merge", "action", "Merge reservations"},
	{namespace, "reservationOrders/calculateRefund", "action", "Calculate the refund of a return"},
	{namespace, "reservationOrders/return", "action", "Return a reservation"},
	{namespace, "calculateExchange", "action", "Calculate an exchange"},
	{namespace, "exchange", "action", "Exchange a reservation"},
}

// operations lists what the provider can do.
func (*Door) operations(*request) (any, error) {
	out := pageBody[operation]{Value: make([]operation, len(offered))}
	for i, o := range offered {
		out.Value[i] = operation{Name: o.Provider + "/" + o.Resource + "/" + o.Operation, Display: o, Origin: "user"}
	}
	return out, nil
}
