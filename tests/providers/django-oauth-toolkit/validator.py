"""The claims beyond `sub`, as django-oauth-toolkit's documentation has them added."""

from oauth2_provider.oauth2_validators import OAuth2Validator


class Validator(OAuth2Validator):
    oidc_claim_scope = OAuth2Validator.oidc_claim_scope | {'name': 'profile', 'email': 'email'}

    def get_additional_claims(self):
        return {'name': lambda request: request.user.get_full_name(), 'email': lambda request: request.user.email}
