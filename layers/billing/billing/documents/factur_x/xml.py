"""An electronic invoice as UN/CEFACT Cross Industry Invoice (CII D22B), the syntax of Factur-X and ZUGFeRD.

Elements come in the order of Factur-X's schema for the profile EN 16931; every text is escaped by ElementTree. The same
invoice gives the same bytes.
"""

import datetime as dt
import re
from decimal import Decimal
from xml.etree import ElementTree as ET

from billing.documents.factur_x.invoice import (
    Address,
    AllowanceOrCharge,
    DocumentTotals,
    ElectronicInvoice,
    InvoiceLine,
    Party,
    Tax,
)
from billing.money import Money

_STANDARD = "urn:un:unece:uncefact:data:standard"
_NAMESPACES = {
    "xmlns:rsm": f"{_STANDARD}:CrossIndustryInvoice:100",
    "xmlns:ram": f"{_STANDARD}:ReusableAggregateBusinessInformationEntity:100",
    "xmlns:qdt": f"{_STANDARD}:QualifiedDataType:100",
    "xmlns:udt": f"{_STANDARD}:UnqualifiedDataType:100",
}
_PROFILE = "urn:cen.eu:en16931:2017"
#: UNTDID 1001; a corrected invoice is one "that includes revised information differing from an earlier submission of the
#: same invoice".
_COMMERCIAL_INVOICE, _CORRECTED_INVOICE = "380", "384"
_SEPA_TRANSFER, _TRANSFER = "58", "30"

#: What XML 1.0 cannot hold, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def electronic_invoice_xml(invoice: ElectronicInvoice) -> bytes:
    """The invoice as an XML document in UTF-8."""
    root = ET.Element("rsm:CrossIndustryInvoice", _NAMESPACES)
    context = _add(root, "rsm:ExchangedDocumentContext")
    _text(_add(context, "ram:GuidelineSpecifiedDocumentContextParameter"), "ram:ID", _PROFILE)
    document = _add(root, "rsm:ExchangedDocument")
    _text(document, "ram:ID", invoice.number)
    _text(document, "ram:TypeCode", _CORRECTED_INVOICE if invoice.corrects else _COMMERCIAL_INVOICE)
    _date(document, "ram:IssueDateTime", invoice.issue_date)
    if invoice.note:
        _text(_add(document, "ram:IncludedNote"), "ram:Content", invoice.note)
    transaction = _add(root, "rsm:SupplyChainTradeTransaction")
    for line in invoice.lines:
        _line(transaction, line, invoice.tax)
    _agreement(transaction, invoice)
    _delivery(transaction, invoice)
    _settlement(transaction, invoice)
    content: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return content


def _line(parent: ET.Element, line: InvoiceLine, tax: Tax) -> None:
    item = _add(parent, "ram:IncludedSupplyChainTradeLineItem")
    document = _add(item, "ram:AssociatedDocumentLineDocument")
    _text(document, "ram:LineID", str(line.number))
    if line.note:
        _text(_add(document, "ram:IncludedNote"), "ram:Content", line.note)
    product = _add(item, "ram:SpecifiedTradeProduct")
    _text(product, "ram:SellerAssignedID", line.task_code)
    _text(product, "ram:Name", line.name)
    if line.timekeeper:
        characteristic = _add(product, "ram:ApplicableProductCharacteristic")
        _text(characteristic, "ram:Description", "Timekeeper")
        _text(characteristic, "ram:Value", line.timekeeper)
    price = _add(_add(item, "ram:SpecifiedLineTradeAgreement"), "ram:NetPriceProductTradePrice")
    _amount(price, "ram:ChargeAmount", line.price)
    delivery = _add(item, "ram:SpecifiedLineTradeDelivery")
    _text(delivery, "ram:BilledQuantity", _number(line.quantity), unitCode=line.unit)
    settlement = _add(item, "ram:SpecifiedLineTradeSettlement")
    _category(_add(settlement, "ram:ApplicableTradeTax"), tax)
    if line.date:
        _period(settlement, line.date, line.date)
    totals = _add(settlement, "ram:SpecifiedTradeSettlementLineMonetarySummation")
    _amount(totals, "ram:LineTotalAmount", line.amount)


def _agreement(parent: ET.Element, invoice: ElectronicInvoice) -> None:
    agreement = _add(parent, "ram:ApplicableHeaderTradeAgreement")
    _party(_add(agreement, "ram:SellerTradeParty"), invoice.seller)
    _party(_add(agreement, "ram:BuyerTradeParty"), invoice.buyer)
    if invoice.project:
        project = _add(agreement, "ram:SpecifiedProcuringProject")
        number, name = invoice.project
        _text(project, "ram:ID", number)
        _text(project, "ram:Name", name)


def _party(element: ET.Element, party: Party) -> None:
    _text(element, "ram:ID", party.identifier)
    _text(element, "ram:Name", party.name)
    if party.trading_name:
        organization = _add(element, "ram:SpecifiedLegalOrganization")
        _text(organization, "ram:TradingBusinessName", party.trading_name)
    if party.phone or party.email:
        contact = _add(element, "ram:DefinedTradeContact")
        if party.phone:
            _text(_add(contact, "ram:TelephoneUniversalCommunication"), "ram:CompleteNumber", party.phone)
        if party.email:
            _text(_add(contact, "ram:EmailURIUniversalCommunication"), "ram:URIID", party.email)
    _address(_add(element, "ram:PostalTradeAddress"), party.address)
    for scheme, number in (("VA", party.vat_identifier), ("FC", party.tax_registration)):
        if number:
            _text(_add(element, "ram:SpecifiedTaxRegistration"), "ram:ID", number, schemeID=scheme)


def _address(element: ET.Element, address: Address) -> None:
    _text(element, "ram:PostcodeCode", address.postal_code)
    for name, line in zip(("ram:LineOne", "ram:LineTwo", "ram:LineThree"), address.lines, strict=False):
        _text(element, name, line)
    _text(element, "ram:CityName", address.city)
    _text(element, "ram:CountryID", address.country)
    _text(element, "ram:CountrySubDivisionName", address.region)


def _delivery(parent: ET.Element, invoice: ElectronicInvoice) -> None:
    """Services are delivered when their last part is (BT-72). The schema wants the element even when nobody knows."""
    delivery = _add(parent, "ram:ApplicableHeaderTradeDelivery")
    if invoice.period:
        event = _add(delivery, "ram:ActualDeliverySupplyChainEvent")
        _date(event, "ram:OccurrenceDateTime", invoice.period[1])


def _settlement(parent: ET.Element, invoice: ElectronicInvoice) -> None:
    settlement = _add(parent, "ram:ApplicableHeaderTradeSettlement")
    _text(settlement, "ram:PaymentReference", invoice.number)
    _text(settlement, "ram:InvoiceCurrencyCode", invoice.currency)
    if invoice.iban:
        means = _add(settlement, "ram:SpecifiedTradeSettlementPaymentMeans")
        _text(means, "ram:TypeCode", _SEPA_TRANSFER if invoice.currency == "EUR" else _TRANSFER)
        _text(_add(means, "ram:PayeePartyCreditorFinancialAccount"), "ram:IBANID", invoice.iban)
    _breakdown(settlement, invoice.tax)
    if invoice.period:
        _period(settlement, *invoice.period)
    for adjustment in invoice.adjustments:
        _adjustment(settlement, adjustment, invoice.tax)
    if invoice.due_date:
        _date(_add(settlement, "ram:SpecifiedTradePaymentTerms"), "ram:DueDateDateTime", invoice.due_date)
    _totals(settlement, invoice.totals)
    if invoice.corrects:
        preceding = _add(settlement, "ram:InvoiceReferencedDocument")
        _text(preceding, "ram:IssuerAssignedID", invoice.number)
        _date(preceding, "ram:FormattedIssueDateTime", invoice.issue_date, "qdt")


def _breakdown(parent: ET.Element, tax: Tax) -> None:
    element = _add(parent, "ram:ApplicableTradeTax")
    _amount(element, "ram:CalculatedAmount", tax.amount)
    _text(element, "ram:TypeCode", "VAT")
    _text(element, "ram:ExemptionReason", tax.exemption_reason)
    _amount(element, "ram:BasisAmount", tax.basis)
    _text(element, "ram:CategoryCode", tax.category)
    _text(element, "ram:ExemptionReasonCode", tax.exemption_code)
    _rate(element, tax)


def _category(element: ET.Element, tax: Tax) -> None:
    _text(element, "ram:TypeCode", "VAT")
    _text(element, "ram:CategoryCode", tax.category)
    _rate(element, tax)


def _rate(element: ET.Element, tax: Tax) -> None:
    if tax.rate is not None:
        _text(element, "ram:RateApplicablePercent", _number(tax.rate))


def _adjustment(parent: ET.Element, adjustment: AllowanceOrCharge, tax: Tax) -> None:
    element = _add(parent, "ram:SpecifiedTradeAllowanceCharge")
    indicator = "true" if adjustment.is_charge else "false"
    _text(_add(element, "ram:ChargeIndicator"), "udt:Indicator", indicator)
    _amount(element, "ram:ActualAmount", adjustment.amount)
    _text(element, "ram:Reason", adjustment.reason)
    _category(_add(element, "ram:CategoryTradeTax"), tax)


def _totals(parent: ET.Element, totals: DocumentTotals) -> None:
    element = _add(parent, "ram:SpecifiedTradeSettlementHeaderMonetarySummation")
    _amount(element, "ram:LineTotalAmount", totals.lines)
    _amount(element, "ram:ChargeTotalAmount", totals.charges)
    _amount(element, "ram:AllowanceTotalAmount", totals.allowances)
    _amount(element, "ram:TaxBasisTotalAmount", totals.without_tax)
    _amount(element, "ram:TaxTotalAmount", totals.tax, currencyID=totals.tax.currency)
    _amount(element, "ram:GrandTotalAmount", totals.with_tax)
    _amount(element, "ram:TotalPrepaidAmount", totals.prepaid)
    _amount(element, "ram:DuePayableAmount", totals.due)


def _period(parent: ET.Element, first: dt.date, last: dt.date) -> None:
    period = _add(parent, "ram:BillingSpecifiedPeriod")
    _date(period, "ram:StartDateTime", first)
    _date(period, "ram:EndDateTime", last)


def _date(parent: ET.Element, name: str, day: dt.date, data_type: str = "udt") -> None:
    """Format 102 of UNTDID 2379: YYYYMMDD, four digits of year whatever the platform's strftime thinks."""
    _text(_add(parent, name), f"{data_type}:DateTimeString", day.isoformat().replace("-", ""), format="102")


def _amount(parent: ET.Element, name: str, amount: Money, **attributes: str) -> None:
    _text(parent, name, f"{amount.to_decimal():f}", **attributes)


def _number(value: Decimal) -> str:
    return f"{value.normalize():f}"


def _add(parent: ET.Element, name: str) -> ET.Element:
    return ET.SubElement(parent, name)


def _text(parent: ET.Element, name: str, text: str, **attributes: str) -> None:
    """A child with text; none where there is no text: the standard forbids empty elements."""
    if clean := _NOT_XML.sub("", text).strip():
        ET.SubElement(parent, name, attributes).text = clean
