"""A Django site with nothing in it but users and django-oauth-toolkit, as its documentation sets it up for OpenID Connect."""

import os
import pathlib

FOLDER = pathlib.Path(os.environ['PROVIDER_FOLDER'])

SECRET_KEY = os.environ['PROVIDER_SECRET_KEY']
ALLOWED_HOSTS = ['localhost']
ROOT_URLCONF = 'urls'
USE_TZ = True
DEFAULT_AUTO_FIELD = 'django.db.models.BigAutoField'
LOGIN_URL = '/accounts/login/'
LOGOUT_REDIRECT_URL = '/accounts/login/'
DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': FOLDER / 'django.sqlite3'}}
INSTALLED_APPS = [
    'django.contrib.auth',
    'django.contrib.contenttypes',
    'django.contrib.sessions',
    'django.contrib.messages',
    'django.contrib.admin',
    'oauth2_provider',
]
MIDDLEWARE = [
    'django.contrib.sessions.middleware.SessionMiddleware',
    'django.middleware.common.CommonMiddleware',
    'django.middleware.csrf.CsrfViewMiddleware',
    'django.contrib.auth.middleware.AuthenticationMiddleware',
    'django.contrib.messages.middleware.MessageMiddleware',
]
TEMPLATES = [
    {
        'BACKEND': 'django.template.backends.django.DjangoTemplates',
        'APP_DIRS': True,
        'OPTIONS': {
            'context_processors': [
                'django.template.context_processors.request',
                'django.contrib.auth.context_processors.auth',
                'django.contrib.messages.context_processors.messages',
            ]
        },
    }
]
OAUTH2_PROVIDER = {
    'OIDC_ENABLED': True,
    'OIDC_RSA_PRIVATE_KEY': (FOLDER / 'oidc.pem').read_text(),
    'OIDC_RP_INITIATED_LOGOUT_ENABLED': True,
    'OIDC_RP_INITIATED_LOGOUT_ALWAYS_PROMPT': True,
    'OAUTH2_VALIDATOR_CLASS': 'validator.Validator',
    'SCOPES': {'openid': 'Who you are', 'profile': 'Your name', 'email': 'Your address'},
    'ACCESS_TOKEN_EXPIRE_SECONDS': 4,
    'ROTATE_REFRESH_TOKEN': True,
    'REFRESH_TOKEN_REUSE_PROTECTION': True,
}
