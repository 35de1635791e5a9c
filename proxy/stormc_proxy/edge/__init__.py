"""The client's side: what is listened to, who may ask for what, and how answers reach a client."""
