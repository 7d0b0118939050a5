package main

import (
	"net"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// Seconds that an asker may keep an answer; as CoreDNS by default.
const timeToLive = 5

// answer gives the reply to a query, or nil when it is none.
func answer(query []byte, lookup func(name string) ([]net.IP, bool)) []byte {
	var parser dnsmessage.Parser
	header, err := parser.Start(query)
	if err != nil || header.Response {
		return nil
	}
	question, err := parser.Question()
	if err != nil {
		return nil
	}
	addresses, exists := lookup(strings.ToLower(question.Name.String()))
	reply := dnsmessage.Message{
		Header: dnsmessage.Header{
			ID: header.ID, OpCode: header.OpCode, Response: true, Authoritative: true,
			RecursionDesired: header.RecursionDesired, RecursionAvailable: true,
		},
		Questions: []dnsmessage.Question{question},
	}
	if !exists {
		reply.RCode = dnsmessage.RCodeNameError
	}
	if question.Type == dnsmessage.TypeA {
		for _, address := range addresses {
			four := address.To4()
			if four == nil {
				continue
			}
			reply.Answers = append(reply.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: question.Name, Class: dnsmessage.ClassINET, TTL: timeToLive},
				Body:   &dnsmessage.AResource{A: [4]byte(four)},
			})
		}
	}
	packed, err := reply.Pack()
	if err != nil {
		return nil
	}
	return packed
}
