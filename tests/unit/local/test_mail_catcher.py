from email.message import EmailMessage
from pathlib import Path

from local.mail_catcher import Mailbox, page


def reminder(subject: str = "Zahlungserinnerung für Müller") -> bytes:
    message = EmailMessage()
    message["From"] = "billing@example.com"
    message["To"] = "client@example.com"
    message["Subject"] = subject
    message.set_content("Bitte zahlen Sie 1.200,00 €.")
    message.add_alternative("<p>Bitte <b>zahlen</b></p>", subtype="html")
    message.add_attachment(b"%PDF-", maintype="application", subtype="pdf", filename="INV-1.pdf")
    return message.as_bytes()


def test_a_message_is_kept_with_its_parts(tmp_path: Path) -> None:
    Mailbox(tmp_path).add("billing@example.com", ["client@example.com"], reminder())

    (message,) = Mailbox(tmp_path).messages()
    assert message["from"] == "billing@example.com"
    assert message["to"] == ["client@example.com"]
    assert message["subject"] == "Zahlungserinnerung für Müller"
    assert message["text"].strip() == "Bitte zahlen Sie 1.200,00 €."
    assert message["html"].strip() == "<p>Bitte <b>zahlen</b></p>"
    assert message["attachments"] == ["INV-1.pdf"]
    assert message["received_at"].endswith("+00:00")


def test_messages_come_in_the_order_of_their_arrival_and_can_be_forgotten(tmp_path: Path) -> None:
    mailbox = Mailbox(tmp_path)
    for number in range(3):
        mailbox.add("a@example.com", ["b@example.com"], reminder(f"number {number}"))
    assert [message["subject"] for message in mailbox.messages()] == ["number 0", "number 1", "number 2"]
    mailbox.clear()
    assert mailbox.messages() == []


def test_a_message_without_subject_or_html_is_kept_too(tmp_path: Path) -> None:
    mailbox = Mailbox(tmp_path)
    mailbox.add("a@example.com", ["b@example.com"], b"\r\njust text\r\n")
    (message,) = mailbox.messages()
    assert (message["subject"], message["html"], message["text"].strip()) == ("", "", "just text")


def test_the_page_shows_mail_without_running_it(tmp_path: Path) -> None:
    mailbox = Mailbox(tmp_path)
    mailbox.add("a@example.com", ["b@example.com"], reminder("<script>alert(1)</script>"))
    shown = page(mailbox.messages())
    assert "<script>" not in shown
    assert "iframe sandbox srcdoc" in shown
