//! `GET /bff/events`.
