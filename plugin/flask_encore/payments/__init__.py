"""How money is moved: adapters of the Gateway port."""
