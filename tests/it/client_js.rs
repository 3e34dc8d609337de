//! `GET /bff/client.js`.
