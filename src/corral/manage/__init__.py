"""The management API: what operators' tools read and change, under `/api/v1` of the HTTP service.

A file for each subject. Reading asks for the role read, changing for admin; every change is in the audit log
with the key's name. The dashboard speaks to the same routes.
"""
