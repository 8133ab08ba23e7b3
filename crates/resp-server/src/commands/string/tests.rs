//! Requests and their replies.
