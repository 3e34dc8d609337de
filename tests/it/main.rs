mod proxy_path;
