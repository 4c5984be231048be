package document

import "unicode/utf8"

// content is the text of a string as it is decoded, with the offset in the
// source of each of its bytes.
type content struct {
	decoded []byte
	offsets []int
}

func (c *content) addByte(b byte, offset int) {
	c.decoded = append(c.decoded, b)
	c.offsets = append(c.offsets, offset)
}

// addRune adds a character that an escape stands for.
func (c *content) addRune(r rune, offset int) {
	before := len(c.decoded)
	c.decoded = utf8.AppendRune(c.decoded, r)
	for range len(c.decoded) - before {
		c.offsets = append(c.offsets, offset)
	}
}

// end tells where the content ends.
func (c *content) end(offset int) { c.offsets = append(c.offsets, offset) }

func (c *content) text() string { return string(c.decoded) }
