mod dev_provider;
fn main() {}
