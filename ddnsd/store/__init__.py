"""The cluster's state: the interface, its stores, and what every node keeps of it in memory."""
