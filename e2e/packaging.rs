//! What runs the program elsewhere: the image and the service.
