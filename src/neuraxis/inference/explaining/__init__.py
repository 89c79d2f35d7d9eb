"""What a network looked at: Grad-CAM++ of its layers, and which experts took which part of a scan."""
