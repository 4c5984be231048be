package relay

import (
	"encoding/binary"
	"errors"
	"io"
	"net"

	"golang.org/x/sys/unix"
)

// credentialsSize is the size in bytes of a datagram's sender, its user and its
// group in four bytes each, which stand before the datagram.
const credentialsSize = 8

// Datagram is one that a socket in the guest has received.
type Datagram struct {
	UID, GID uint32 // of its sender
	Data     []byte
}

// SendDatagrams carries what conn receives, each with its sender, until conn is
// closed or the stream ends. SO_PASSCRED of conn is set. There is no way back.
func SendDatagrams(stream io.Writer, conn *net.UnixConn) error {
	const start = lengthSize + credentialsSize
	frame := make([]byte, start+MaxPacket-credentialsSize)
	oob := make([]byte, unix.CmsgSpace(unix.SizeofUcred)+unix.CmsgSpace(64*4)) // descriptors may come as well
	for {
		n, oobn, flags, _, err := conn.ReadMsgUnix(frame[start:], oob)
		if err != nil {
			return err
		}
		sender := credentials(oob[:oobn])
		if sender == nil || flags&unix.MSG_TRUNC != 0 {
			continue // longer than a datagram can be here
		}
		binary.BigEndian.PutUint32(frame, uint32(credentialsSize+n))
		binary.BigEndian.PutUint32(frame[lengthSize:], sender.Uid)
		binary.BigEndian.PutUint32(frame[lengthSize+4:], sender.Gid)
		if _, err := stream.Write(frame[:start+n]); err != nil {
			return err
		}
	}
}

// credentials finds the sender among a message's control data, and closes the
// descriptors that came with it, which cannot be carried.
func credentials(oob []byte) (sender *unix.Ucred) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil
	}
	for i := range messages {
		if fds, err := unix.ParseUnixRights(&messages[i]); err == nil {
			for _, fd := range fds {
				_ = unix.Close(fd)
			}
		} else if cred, err := unix.ParseUnixCredentials(&messages[i]); err == nil {
			sender = cred
		}
	}
	return sender
}

// ReceiveDatagrams hands each datagram of the stream to deliver until the stream
// ends. The data is valid until deliver returns.
func ReceiveDatagrams(stream io.Reader, deliver func(Datagram)) error {
	var frame frame
	for {
		data, err := frame.read(stream)
		if err != nil {
			return err
		}
		if len(data) < credentialsSize {
			return errors.New("a datagram without its sender")
		}
		deliver(Datagram{
			UID: binary.BigEndian.Uint32(data), GID: binary.BigEndian.Uint32(data[4:]),
			Data: data[credentialsSize:],
		})
	}
}
