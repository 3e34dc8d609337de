"""django-oauth-toolkit under /o/, and Django's own login form as the admin has it."""

from django.contrib import admin
from django.contrib.auth.views import LoginView
from django.urls import include, path

urlpatterns = [
    path('o/', include('oauth2_provider.urls', namespace='oauth2_provider')),
    path('accounts/login/', LoginView.as_view(template_name='admin/login.html')),
    path('admin/', admin.site.urls),
]
