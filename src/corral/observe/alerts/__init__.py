"""Alerts: rules over how queues, workers and the server stand, told once, and again when it is over.

A file for each part: `rule`, `queue_rules`, `server_rules` and `rulebook` say what is measured and when that
is too much; `machine` goes from one look to the next; `ledger` is what is remembered and still to be sent;
`channels` send it; `evaluator` does all that in one of many processes (`leadership`, `sending`, `outage` are
its parts, `watching` starts it); `desk` is what operators see and change.
Nothing here uses a job queue: an alert must not depend on what it watches. docs/operate/alerts.md
"""
