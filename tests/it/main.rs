mod dev_provider;
mod store_contract;

fn main() {}
mod provider_client;
mod proxy_path;
