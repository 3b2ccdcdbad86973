# Answers callbacks. Start it with `waitress-serve django_app:application`.
import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.urls import path
from oss_callback import CallbackEvent, CallbackVerifier
from oss_callback.django import callback_view

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"])
secret, key = os.environ["SEAL_SECRET"], os.environ.get("CALLBACK_KEY")  # an emulator's


@callback_view(CallbackVerifier(bucket="examplebucket", seal_secret=secret, trusted_keys=key))
def uploaded(event: CallbackEvent) -> dict[str, object]:
    return {"Status": "OK", "key": event.key, "order": event.variable("order")}


urlpatterns = [path("oss/uploaded", uploaded)]
application = get_wsgi_application()
