"""`thresher promote`, `rollback` and `history`: who is champion, by whose word, and since when."""
