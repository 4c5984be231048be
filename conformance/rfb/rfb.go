// Package rfb is a client of the remote framebuffer protocol, VNC's: as much of
// RFC 6143 as a test needs to look at a screen and to type.
package rfb

import (
	"crypto/des"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"net"
	"strings"
	"time"
)

// Limit bounds each exchange with the server.
const Limit = 30 * time.Second

// version is the protocol's newest, 3.8.
const version = "RFB 003.008\n"

// Security types (RFC 6143, 7.1.2).
const (
	securityNone     = 1
	securityPassword = 2
)

// ErrRefused says that the server does not let this client in.
var ErrRefused = errors.New("the VNC server refuses")

// Client is connected to a server.
type Client struct {
	conn          net.Conn
	width, height int
	pixels        []byte // four for each, as the server sent them
}

// Connect does the handshake on conn, which it owns. An empty password stands
// for a server that asks for none; it is an error when that does not agree. The
// error wraps ErrRefused when the password is wrong.
func Connect(conn net.Conn, password string) (*Client, error) {
	c := &Client{conn: conn}
	_ = conn.SetDeadline(time.Now().Add(Limit))
	err := c.greet()
	if err == nil {
		err = c.authenticate(password)
	}
	if err == nil {
		err = c.initialize()
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

// Close ends the connection.
func (c *Client) Close() error { return c.conn.Close() }

func (c *Client) greet() error {
	greeting := make([]byte, len(version))
	if _, err := io.ReadFull(c.conn, greeting); err != nil {
		return fmt.Errorf("read the greeting: %w", err)
	}
	if string(greeting) != version {
		return fmt.Errorf("the server greets with %q", greeting)
	}
	_, err := io.WriteString(c.conn, version)
	return err
}

func (c *Client) authenticate(password string) error {
	var count [1]byte
	if _, err := io.ReadFull(c.conn, count[:]); err != nil {
		return fmt.Errorf("read the security types: %w", err)
	}
	if count[0] == 0 {
		return c.refusal()
	}
	types := make([]byte, count[0])
	if _, err := io.ReadFull(c.conn, types); err != nil {
		return fmt.Errorf("read the security types: %w", err)
	}
	wanted := byte(securityNone)
	if password != "" {
		wanted = securityPassword
	}
	if len(types) != 1 || types[0] != wanted {
		return fmt.Errorf("the server has the security types %v, not %d", types, wanted)
	}
	if _, err := c.conn.Write([]byte{wanted}); err != nil {
		return err
	}
	if password != "" {
		var challenge [16]byte
		if _, err := io.ReadFull(c.conn, challenge[:]); err != nil {
			return fmt.Errorf("read the challenge: %w", err)
		}
		if _, err := c.conn.Write(response(challenge, password)); err != nil {
			return err
		}
	}
	var result uint32
	if err := binary.Read(c.conn, binary.BigEndian, &result); err != nil {
		return fmt.Errorf("read the security result: %w", err)
	}
	if result != 0 {
		return c.refusal()
	}
	return nil
}

// refusal reads the server's reason.
func (c *Client) refusal() error {
	reason, err := c.text()
	if err != nil {
		return fmt.Errorf("%w, without a reason: %w", ErrRefused, err)
	}
	return fmt.Errorf("%w: %s", ErrRefused, reason)
}

func (c *Client) text() (string, error) {
	var length uint32
	if err := binary.Read(c.conn, binary.BigEndian, &length); err != nil {
		return "", err
	}
	if length > 1<<16 {
		return "", fmt.Errorf("a text of %d bytes", length)
	}
	text := make([]byte, length)
	_, err := io.ReadFull(c.conn, text)
	return string(text), err
}

// response encrypts the challenge with the password as the key, the bits of
// whose bytes VNC has the other way around (RFC 6143, 7.2.2, and its erratum).
func response(challenge [16]byte, password string) []byte {
	var key [8]byte
	copy(key[:], password)
	for i := range key {
		key[i] = bits.Reverse8(key[i])
	}
	block, err := des.NewCipher(key[:])
	if err != nil {
		panic(err) // the key has eight bytes
	}
	var out [16]byte
	block.Encrypt(out[:8], challenge[:8])
	block.Encrypt(out[8:], challenge[8:])
	return out[:]
}

// Encodings (RFC 6143, 7.7).
const (
	encodingRaw  = 0
	encodingSize = -223
)

// initialize tells the server which pixels and encodings this client knows.
func (c *Client) initialize() error {
	if _, err := c.conn.Write([]byte{1}); err != nil { // beside other clients
		return err
	}
	var begin struct {
		Width, Height uint16
		Format        [16]byte
	}
	if err := binary.Read(c.conn, binary.BigEndian, &begin); err != nil {
		return fmt.Errorf("read the screen's size: %w", err)
	}
	if _, err := c.text(); err != nil {
		return fmt.Errorf("read the desktop's name: %w", err)
	}
	c.resize(begin.Width, begin.Height)
	message := []byte{
		0, 0, 0, 0, // SetPixelFormat: 32 bits, little endian, 8 for each colour
		32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0,
		2, 0, 0, 2, // SetEncodings: two
	}
	message = binary.BigEndian.AppendUint32(message, encodingRaw)
	size := int32(encodingSize)
	message = binary.BigEndian.AppendUint32(message, uint32(size))
	_, err := c.conn.Write(message)
	return err
}

func (c *Client) resize(width, height uint16) {
	c.width, c.height = int(width), int(height)
	c.pixels = make([]byte, 4*c.width*c.height)
}

// Frame is the whole screen at one moment.
type Frame struct {
	Width, Height int
	Pixels        string // four bytes for each: blue, green, red, nothing
}

// Colours counts the different ones.
func (f Frame) Colours() int {
	seen := map[string]bool{}
	for i := 0; i+4 <= len(f.Pixels); i += 4 {
		seen[f.Pixels[i:i+3]] = true
	}
	return len(seen)
}

// Lit counts the pixels that are not black.
func (f Frame) Lit() int {
	lit := 0
	for i := 0; i+4 <= len(f.Pixels); i += 4 {
		if f.Pixels[i:i+3] != "\x00\x00\x00" {
			lit++
		}
	}
	return lit
}

// Screen asks for the whole screen and returns it.
func (c *Client) Screen() (Frame, error) {
	_ = c.conn.SetDeadline(time.Now().Add(Limit))
	for {
		width, height := c.width, c.height
		request := []byte{3, 0, 0, 0, 0, 0}
		request = binary.BigEndian.AppendUint16(request, uint16(width))
		request = binary.BigEndian.AppendUint16(request, uint16(height))
		if _, err := c.conn.Write(request); err != nil {
			return Frame{}, err
		}
		filled, err := c.update()
		if err != nil {
			return Frame{}, err
		}
		// A new size comes alone, or the picture comes in parts.
		if filled && c.width == width && c.height == height {
			return Frame{c.width, c.height, string(c.pixels)}, nil
		}
	}
}

// Messages of a server (RFC 6143, 7.6).
const (
	messageUpdate = 0
	messageBell   = 2
	messageText   = 3
)

// update reads messages until one has pixels of the screen, and says whether
// these are all.
func (c *Client) update() (filled bool, err error) {
	for {
		var kind [1]byte
		if _, err := io.ReadFull(c.conn, kind[:]); err != nil {
			return false, fmt.Errorf("wait for the screen: %w", err)
		}
		switch kind[0] {
		case messageUpdate:
			return c.rectangles()
		case messageBell:
		case messageText:
			if _, err := io.CopyN(io.Discard, c.conn, 3); err != nil {
				return false, err
			}
			if _, err := c.text(); err != nil {
				return false, err
			}
		default:
			return false, fmt.Errorf("the server sends a message of type %d", kind[0])
		}
	}
}

func (c *Client) rectangles() (filled bool, err error) {
	var head struct {
		_     uint8
		Count uint16
	}
	if err := binary.Read(c.conn, binary.BigEndian, &head); err != nil {
		return false, err
	}
	area := 0
	for range head.Count {
		var r struct {
			X, Y, Width, Height uint16
			Encoding            int32
		}
		if err := binary.Read(c.conn, binary.BigEndian, &r); err != nil {
			return false, err
		}
		switch {
		case r.Encoding == encodingSize:
			c.resize(r.Width, r.Height)
			continue
		case r.Encoding != encodingRaw:
			return false, fmt.Errorf("the server uses the encoding %d", r.Encoding)
		case int(r.X)+int(r.Width) > c.width || int(r.Y)+int(r.Height) > c.height:
			return false, fmt.Errorf("the server draws outside of the screen: %+v", r)
		}
		for y := range int(r.Height) {
			at := 4 * ((int(r.Y)+y)*c.width + int(r.X))
			if _, err := io.ReadFull(c.conn, c.pixels[at:at+4*int(r.Width)]); err != nil {
				return false, fmt.Errorf("read the screen: %w", err)
			}
		}
		area += int(r.Width) * int(r.Height)
	}
	return area >= c.width*c.height, nil
}

// Keys without a character (X11's keysymdef.h); a character of ASCII is its own.
const (
	KeyReturn = 0xff0d
	keyShift  = 0xffe1
)

// Type presses and releases the keys of a US keyboard that make the text.
func (c *Client) Type(text string) error {
	for _, r := range text {
		key := uint32(r)
		if r == '\n' {
			key = KeyReturn
		}
		shifted := r >= 'A' && r <= 'Z' || strings.ContainsRune(`~!@#$%^&*()_+{}|:"<>?`, r)
		if shifted {
			if err := c.key(keyShift, true); err != nil {
				return err
			}
		}
		if err := errors.Join(c.key(key, true), c.key(key, false)); err != nil {
			return err
		}
		if shifted {
			if err := c.key(keyShift, false); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *Client) key(symbol uint32, down bool) error {
	_ = c.conn.SetDeadline(time.Now().Add(Limit))
	message := []byte{4, 0, 0, 0}
	if down {
		message[1] = 1
	}
	_, err := c.conn.Write(binary.BigEndian.AppendUint32(message, symbol))
	return err
}

// Point moves the pointer, which has its buttons up.
func (c *Client) Point(x, y int) error {
	_ = c.conn.SetDeadline(time.Now().Add(Limit))
	message := []byte{5, 0}
	message = binary.BigEndian.AppendUint16(message, uint16(x))
	_, err := c.conn.Write(binary.BigEndian.AppendUint16(message, uint16(y)))
	return err
}
