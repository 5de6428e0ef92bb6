package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"strings"

	"permledger/domain"
)

type pricesCommand struct {
	Import pricesImportCommand `cmd:"" help:"Set customers' prices from a file in the format of the public Azure Retail Prices API."`
}

type pricesImportCommand struct {
	File      string   `arg:"" help:"JSON file of the Azure Retail Prices API; - reads standard input."`
	Markup    string   `help:"Percent that the customer pays on top of the Web Direct price; negative for a discount." required:"" placeholder:"PERCENT"`
	Customers []string `name:"customer" help:"Customers whose prices are set; all of the partner's when absent." placeholder:"GUID"`
}

// retailPrices is a page of the Azure Retail Prices API. The price of a reservation is that of one unit
// for the whole term.
type retailPrices struct {
	Items        []retailPrice `json:"Items"`
	NextPageLink string        `json:"NextPageLink"`
}

type retailPrice struct {
	Type            string      `json:"type"`
	CurrencyCode    string      `json:"currencyCode"`
	RetailPrice     json.Number `json:"retailPrice"`
	ReservationTerm string      `json:"reservationTerm"`
	ArmSkuName      string      `json:"armSkuName"`
	ArmRegionName   string      `json:"armRegionName"`
	ServiceName     string      `json:"serviceName"`
}

var reservationTerms = map[string]domain.Term{"1 Year": domain.OneYear, "3 Years": domain.ThreeYears, "5 Years": domain.FiveYears}

// listedPrice is one reservation price of a file with the customer's price beside it.
type listedPrice struct {
	offer               domain.Offer
	family              string
	customer, webDirect domain.Money
}

// readPrices gives the reservation prices of a file, for both billing plans. Other kinds of price are
// skipped; a reservation price that cannot be read is an error that names it.
func readPrices(r io.Reader, markup *big.Rat) ([]listedPrice, error) {
	var page retailPrices
	if err := json.NewDecoder(r).Decode(&page); err != nil {
		return nil, fmt.Errorf("this is no answer of the Azure Retail Prices API: %w", err)
	}
	var list []listedPrice
	for i, item := range page.Items {
		if item.Type != "Reservation" {
			continue
		}
		priced, err := item.priced(markup)
		if err != nil {
			return nil, fmt.Errorf("item %d (%s in %s): %w", i+1, item.ArmSkuName, item.ArmRegionName, err)
		}
		for _, plan := range []domain.BillingPlan{domain.Upfront, domain.Monthly} {
			priced.offer.BillingPlan = plan
			list = append(list, priced)
		}
	}
	if len(list) == 0 {
		return nil, errors.New("the file holds no reservation price")
	}
	return list, nil
}

func (p retailPrice) priced(markup *big.Rat) (listedPrice, error) {
	term, known := reservationTerms[p.ReservationTerm]
	if !known {
		return listedPrice{}, fmt.Errorf("the reservation term %q is none of 1 Year, 3 Years, 5 Years", p.ReservationTerm)
	}
	currency, err := domain.ParseCurrency(p.CurrencyCode)
	if err != nil {
		return listedPrice{}, err
	}
	retail, ok := new(big.Rat).SetString(p.RetailPrice.String())
	if !ok || retail.Sign() < 0 {
		return listedPrice{}, fmt.Errorf("%q is no price", p.RetailPrice)
	}
	webDirect, err := rounded(retail, currency)
	if err != nil {
		return listedPrice{}, err
	}
	customer, err := rounded(new(big.Rat).Mul(retail, markup), currency)
	if err != nil {
		return listedPrice{}, err
	}
	return listedPrice{
		offer:     domain.Offer{SKU: p.ArmSkuName, Region: p.ArmRegionName, Term: term},
		family:    strings.ReplaceAll(p.ServiceName, " ", ""),
		customer:  customer,
		webDirect: webDirect,
	}, nil
}

// rounded writes an exact amount with the digits of its currency, halves away from zero.
func rounded(amount *big.Rat, currency domain.Currency) (domain.Money, error) {
	one, err := domain.NewMoney(1, currency)
	if err != nil {
		return domain.Money{}, err
	}
	_, fraction, _ := strings.Cut(one.Decimal(), ".")
	return domain.ParseMoney(amount.FloatString(len(fraction)), currency)
}

// parseMarkup turns a percentage into the factor on the Web Direct price.
func parseMarkup(percent string) (*big.Rat, error) {
	p, ok := new(big.Rat).SetString(strings.TrimSuffix(percent, "%"))
	factor := new(big.Rat)
	if ok {
		factor.Add(big.NewRat(1, 1), p.Quo(p, big.NewRat(100, 1)))
	}
	if !ok || factor.Sign() < 0 {
		return nil, usageError("--markup %q is no percentage of at least -100; write 8 or 7.5", percent)
	}
	return factor, nil
}

// Run sends one SetReservationPrice per price and customer. Prices that are so already change nothing,
// so an import that was interrupted is simply run again.
func (c *pricesImportCommand) Run(ctx context.Context, a *app) error {
	factor, err := parseMarkup(c.Markup)
	if err != nil {
		return err
	}
	file, err := a.open(c.File)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // it was only read
	prices, err := readPrices(file, factor)
	if err != nil {
		return fmt.Errorf("read %s: %w", c.File, err)
	}
	session, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer session.close()
	customers := c.Customers
	if len(customers) == 0 {
		if customers, err = session.customers(ctx); err != nil {
			return err
		}
	}
	bar := a.progress("prices set", uint64(len(prices)*len(customers)))
	defer bar.stop()
	changed := 0
	for _, customer := range customers {
		id, err := domain.ParseTenantID(customer)
		if err != nil {
			return usageError("--customer %v", err)
		}
		for _, p := range prices {
			answer, err := session.send(ctx, domain.SetReservationPrice{
				CustomerID: id, Offer: p.offer, Family: p.family, CustomerPrice: p.customer, WebDirectPrice: p.webDirect,
			})
			if err != nil {
				return fmt.Errorf("set the price of %s in %s for %s: %w", p.offer.SKU, p.offer.Region, customer, err)
			}
			changed += len(answer.Events)
			bar.add(1)
		}
	}
	bar.stop()
	return a.writeOne(map[string]int{"customers": len(customers), "prices": len(prices), "changed": changed},
		[]column{{"Customers", "customers"}, {"Prices each", "prices"}, {"Changed", "changed"}})
}

// open opens a file to read, or standard input for "-".
func (a *app) open(path string) (io.ReadCloser, error) {
	if path == "-" {
		return io.NopCloser(a.stdin), nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return file, nil
}
