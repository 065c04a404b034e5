from django.urls import path

from shop import views

urlpatterns = [
    path("reports", views.order),
    path("reports/<str:job_id>", views.look),
    path("reports/<str:job_id>/page", views.page),
    path("async/reports", views.order_async),
]
