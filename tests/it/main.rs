mod provider_client;
