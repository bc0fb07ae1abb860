"""The files: where they come from, the layers on top of them, the kernel and the initrd made from them."""
