"""Where analytics events go: a file for each place, all with the one method `write`.

`chosen` makes those that CORRAL_ANALYTICS_SINK names; the queue `analytics` writes every batch to all of
them.
"""
