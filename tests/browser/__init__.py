"""What a person does in the admin, in a real browser, with a real site and a real worker behind it."""
