//! Tickets: ids, queues, dispatch, completion.
