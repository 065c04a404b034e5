"""What `corral worker shop.worker:queues` runs: Django is set up first, as `manage.py` does it."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
django.setup()

from shop.jobs import reports  # noqa: E402  # Django has to be set up before its parts are used

queues = [reports]
