// Package baseline decodes the JPEGs that cameras send: Huffman-coded, sequential,
// 8 bits, one scan (ITU-T T.81). It decodes only the part of a picture that is
// asked for, and on request straight at 1/2, 1/4 or 1/8 of its size, from the
// lower frequencies alone. Its planes are libjpeg-turbo's to the bit, which
// image/jpeg's are not: the inverse DCT is jidctint.c's ("islow", and for the
// smaller sizes those of libjpeg 7). Upsampling and colours are left to others.
//
// What is not of that kind (progressive, arithmetic, 12 bits, several scans) or
// damaged is an error; image/jpeg may know more.
package baseline
