"""Making and adapting function-calling models. It needs more packages than tools do, so nothing else imports it."""
